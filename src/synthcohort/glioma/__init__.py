"""Gliomas: how they grow, and what becomes of the patient."""
