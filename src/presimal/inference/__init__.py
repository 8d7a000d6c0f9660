"""The shipped networks for one's own scans. Not for clinical use.

scans               what both tools share: files, pieces of masks, answers for both sides
skull_stripping     the brain in a head
tumor_segmentation  the regions of a glioma
"""
