"""The shipped networks for one's own scans. Not for clinical use.

scans               a scan's file in, a mask's file out, with the scan's own geometry
masks               connected pieces and holes
skull_stripping     the brain in a head
tumor_segmentation  the regions of a glioma
"""
