"""How publishers are reached: logins, certificates, host keys and limits, declared for a kind of place."""
