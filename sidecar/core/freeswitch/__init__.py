"""What is said to a FreeSWITCH over its event socket, and what it says. No I/O, no clock."""
