"""What the bridges to trading venues stand on: wire fields, errors, answers, and who is asked."""
