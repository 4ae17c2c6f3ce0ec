"""HTTP as a client that must not wait for ever: one request, and when to ask again."""
