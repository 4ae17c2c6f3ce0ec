"""A gallery as pictures for a paper, a README or a chat."""
