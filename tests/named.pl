#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# named.pl FILE... - every test that a document names is there.  A name is a kind, then words in backquotes,
# each with what it shows in parentheses where that is said: bed `pvh` (pool-without-marker, refused-*),
# sim `test_ring`, `test_life`, unit `volume`, check-serve `full`, qubes `test_start` (test_order), make `demo`.
# In parentheses what has no blank must be found in that test's file; a `*` stands for anything, and a check of
# the bed may get its first words from a variable. The rest is prose. Links to files of ours must lead somewhere.
use strict;
use warnings;

sub slurp { my ($all) = ''; for my $f (@_) { open my $in, '<', $f or next; local $/; $all .= <$in>; } return $all }

my $bed_common = slurp(glob('tests/bed/guest/*.sh'), glob('tests/bed/*.sh'), 'tests/bed/guest/init');
my %file = (
    bed => sub { "tests/bed/cases/$_[0].sh" },
    sim => sub { "tests/sim/$_[0].sh" },
    qubes => sub { "tests/qubes/$_[0].py" },
    'check-serve' => sub { "tests/serve/$_[0].test.sh" },
    unit => sub { my @with = grep { slurp($_) =~ /\bsuite_$_[0]\b|UNIT_SUITE\($_[0]\b/ } glob('tests/unit/*.c');
                  slurp('tests/unit/suites.h') =~ /X\($_[0]\)/ ? ($with[0] // "tests/unit/test_$_[0].c") : '' },
    make => sub { slurp('Makefile', glob('tests/*/rules.mk'), glob('blkback-ephem/*/rules.mk')) =~ /^$_[0]\b[^=\n]*:/m ? 'Makefile' : '' },
);

# Whether a check of that name can come out of the text: its pieces between stars, less leading words.
sub has {
    my ($text, $name, $bed) = @_;
    $name =~ s,^host/,,;
    for my $piece (grep { length } split /\*/, $name) {
        my @words = split /-/, $piece, -1;
        while (index($text, join('-', @words)) < 0) {
            # A prefix that a variable has: the case names it as a word.
            last if $piece =~ /^(\w+)-$/ && $text =~ /\b$1\b/;
            shift @words if $bed;
            return 0 if !$bed || length(join '-', @words) < 5;
        }
    }
    return 1;
}

my ($bad, $seen) = (0, 0);
for my $doc (@ARGV) {
    my ($kind, $line) = ('', 0);
    for (split /\n/, slurp($doc)) {
        $line++;
        for my $link (/\]\(([^)#:]+)\)/g) {
            my ($dir) = $doc =~ m,^(.*/),;
            next if -e (($dir // '') . $link);
            print "$doc:$line: the link $link leads nowhere\n"; $bad++;
        }
        $kind = '';
        while (/\b(bed|sim|unit|qubes|check-serve|make)(?= `)|`([^`]+)`(?:\s*\(([^)]*)\))?|([.;|]| (?!qubes `)[a-z]{5,} )/g) {
            if (defined $1) { $kind = $1; next }
            if (defined $4) { $kind = '' if $4 ne ';'; next }
            my ($name, $in) = ($2, $3);
            my $of = $name =~ /^check-[a-z]+$/ ? 'make' : $kind;
            next if !$of || $name !~ /^[a-z0-9_-]+$/;
            $seen++;
            my $path = $file{$of}->($name);
            if (!$path || !-e $path) { print "$doc:$line: no test $of `$name`\n"; $bad++; next }
            next if $of eq 'make';
            my $text = slurp($path) . ($kind eq 'bed' ? $bed_common : '');
            for my $check (defined $in ? grep { !/ / } split /,\s*/, $in : ()) {
                next if has($text, $check, $kind eq 'bed');
                print "$doc:$line: $kind `$name` has no $check\n"; $bad++;
            }
        }
    }
}
print "$seen tests are named\n";
exit($bad || !$seen ? 1 : 0);
