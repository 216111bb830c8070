"""A package, unlike the other folders of tests: only so does the browser end with the tests of this one."""
