"""Tables of the pages: measured by one command, compared with the numbers that they come from"""
