"""The matrix as files: JSON, JUnit, a page, and one in HTML."""
