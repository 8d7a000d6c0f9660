"""Gliomas: how they grow, what signals they give, how they vary, what becomes of the patient.

signals    the rows of the signal table that belong to a tumor
growth     core, rim, edema, mass effect of one person's tumor
variation  the same tumor as other patients have it, drawn anew for every batch
outcome    the clinical table and survival
"""
