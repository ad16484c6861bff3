"""What a job is: pure values and rules, without I/O, threads, logging or a client library."""
