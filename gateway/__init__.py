"""The telephone side: gets calls in and out. Knows no menus and no queues; never imports ``ivr``."""
