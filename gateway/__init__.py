"""The enforcement point: every act of an agent goes through here."""
