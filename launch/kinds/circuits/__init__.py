"""Neural Random-Access Machines that find a program: the kind ``circuits``."""
