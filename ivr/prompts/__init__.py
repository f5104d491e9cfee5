"""The prompts of a site as operators look after them: which there are, what is wrong with them, new ones taken in."""
