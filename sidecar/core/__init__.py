"""The parts of one stream that do no I/O and know no clock."""
