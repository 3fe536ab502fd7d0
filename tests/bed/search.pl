#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# search.pl FILE... <SUM - print how often a marker stands in the files, as text or as the bytes its
# hexadecimal digits spell. The marker comes by way of a pipe from sha256sum, so that it stands on no
# command line. Reads block devices, disk images and /proc/PID/fd/N; holes are skipped.
use strict;
use warnings;
use Fcntl qw(SEEK_SET);
use constant { SEEK_DATA => 3, SEEK_HOLE => 4, CHUNK => 4 << 20 };

my ($marker) = <STDIN> =~ /^([0-9a-f]{64})\b/ or die "no marker\n";
my @needles = ($marker, pack('H*', $marker));
my $hits    = 0;

sub search_range {
	my ($fh, $from, $to) = @_;
	my $keep = '';
	sysseek($fh, $from, SEEK_SET);
	while ($from < $to) {
		my $n = sysread($fh, my $buf, $to - $from < CHUNK ? $to - $from : CHUNK);
		die "read: $!\n" unless defined $n;
		last if $n == 0;
		$from += $n;
		$buf = $keep . $buf;
		for my $needle (@needles) {
			my $carried = length($keep) - length($needle) + 1;    # whole hits in $keep are counted
			my $at      = $carried > 0 ? $carried : 0;
			while (($at = index($buf, $needle, $at)) >= 0) { $hits++; $at++; }
		}
		$keep = substr($buf, -(length($marker) - 1));
	}
}

for my $file (@ARGV) {
	open(my $fh, '<:raw', $file) or die "$file: $!\n";
	my $end = sysseek($fh, 0, 2) + 0;
	my $at  = 0;
	while ($at < $end) {
		my $data = sysseek($fh, $at, SEEK_DATA);
		last unless defined $data;    # ENXIO: only a hole is left
		my $hole = sysseek($fh, $data, SEEK_HOLE) // $end;
		search_range($fh, $data + 0, $hole + 0);
		$at = $hole + 0;
	}
}
print "$hits\n";
