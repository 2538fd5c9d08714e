"""Suites of questions from anywhere, asked of any model: read, asked, judged, filed."""
