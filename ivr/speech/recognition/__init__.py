"""Speech in: engines that turn telephone sound into words, each in a process of its own."""
