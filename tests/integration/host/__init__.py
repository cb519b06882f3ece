"""The host contract on a lab host of its own."""
