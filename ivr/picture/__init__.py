"""Pictures of flows: blocks as boxes, exits as arrows, what callers did as colour. Draws broken flows too."""
