"""What each kind of database is asked, and how it is reached."""
