"""What may cross between two domains: declared types, each with a capacity in bits."""
