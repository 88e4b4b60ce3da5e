"""Mistakes in declarations, class by class, and a declaration of each class that is accepted."""
