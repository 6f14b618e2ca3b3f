"""Recordings, references and protocols"""
