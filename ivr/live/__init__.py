"""What is live: sets of flows that replace each other under running calls, by saving a file or by a command."""
