"""What logging costs, beside other writers of event files, on this machine: `python -m benchmarks`.

__main__    the command
runner      starts a process for each writer, round after round
child       what runs in such a process
question    what a benchmark is made of: cases, a measurement, references, targets
questions/  one benchmark a file
writers/    one library a file, all with the same face
results     what was measured, and whether a target is reached
report      the table, the summary, the JSON file
plot        the picture
"""
