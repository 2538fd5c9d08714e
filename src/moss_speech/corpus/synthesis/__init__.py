"""Speech that is made from texts and text dialogues, and checked by a recogniser."""
