"""Running a flow for one call: the interpreter, input, ringing. The same code for live calls, tests and simulation."""
