"""What a run found: rows, figures and verdicts, how they are read and written, and how numbers are said. Pure."""
