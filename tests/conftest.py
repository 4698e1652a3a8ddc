"""What every test may use; the machine's threads are kept for the tests that run beside one another."""
