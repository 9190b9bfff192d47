"""From the teacher's tokens to the student's; identity where the tokenizers are equal."""
