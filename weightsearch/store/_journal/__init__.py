"""The journal beside a store: fits of the run under way, each durable when it ends."""
