"""The talk's four claims about standard training: CNN against CNN-F under attack, and what iterations do."""
