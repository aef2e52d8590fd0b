#!/bin/sh
# Every mutant is well formed and fits the source that it changes, its test is one of ours, and controls
# of rows name mutants that are there.
exec python3 "${srcdir:-.}/tests/mutants/mutants.py" lint "${srcdir:-.}"
