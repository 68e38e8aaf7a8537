"""Requests, admission and scheduling between the server and a backend."""
