"""The contracts of the writer, held by tests that break things for real.

Each test states its guarantee, and names the mistake that it would catch. What was written is
read by `scanner`, which shares no code with the package.
"""
