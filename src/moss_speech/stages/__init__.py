"""One module per DVC stage: open inputs, call one library function, write the output."""
