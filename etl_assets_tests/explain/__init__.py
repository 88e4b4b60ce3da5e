"""Tests of the explanation of rows and deliveries."""
