"""The paper: what it prints (`printed`), and what it concludes as verdicts (`claims`)."""
