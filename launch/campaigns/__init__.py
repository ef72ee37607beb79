"""Many runs towards one page: the claims of papers, and tables of environments and cores."""
