#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# monitor.pl SOCKET COMMAND... - gives commands to QEMU's monitor, each when the one before has ended. An
# answer in words is an error: those used here succeed in silence.
use strict;
use warnings;
use IO::Socket::UNIX;

my $socket = IO::Socket::UNIX->new(Peer => shift) or die "monitor: $!\n";

sub prompt {
	my $said = '';
	until ($said =~ /\(qemu\) $/) { sysread($socket, $said, 65536, length $said) or die "monitor: closed\n"; }
	return $said;
}

prompt();
for my $command (@ARGV) {
	syswrite($socket, "$command\n");
	my $said = prompt();
	$said =~ s/^.*?\n//s;    # the echo
	$said =~ s/\(qemu\) $//;
	die "monitor: $command: $said\n" if $said =~ /\S/;
}
