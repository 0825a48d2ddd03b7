"""Colorado: EX-003 (master voter list) and EX-002 (public voting history), by their dates.

The birth year is all the state publishes, districts are phrases ("State House 44"), dates are
MM/DD/YYYY, sometimes unpadded. The encoding varies by file: latin-1 unless it has a UTF-8 mark.
"""

from __future__ import annotations

from matching.roll.layout import Layout

__all__ = ["EX_002", "HISTORY", "LAYOUTS", "MASTER"]

_HEAD = (
    "VOTER_ID", "COUNTY_CODE", "COUNTY", "LAST_NAME", "FIRST_NAME", "MIDDLE_NAME", "NAME_SUFFIX",
    "VOTER_NAME", "STATUS_CODE", "PRECINCT_NAME", "ADDRESS_LIBRARY_ID", "HOUSE_NUM",
    "HOUSE_SUFFIX", "PRE_DIR", "STREET_NAME", "STREET_TYPE", "POST_DIR", "UNIT_TYPE", "UNIT_NUM",
    "ADDRESS_NON_STD", "RESIDENTIAL_ADDRESS", "RESIDENTIAL_CITY", "RESIDENTIAL_STATE",
    "RESIDENTIAL_ZIP_CODE", "RESIDENTIAL_ZIP_PLUS", "EFFECTIVE_DATE", "REGISTRATION_DATE",
    "STATUS", "STATUS_REASON", "BIRTH_YEAR", "GENDER", "PRECINCT", "SPLIT", "VOTER_STATUS_ID",
    "PARTY",
)  # fmt: skip
_TAIL = (
    "MAILING_CITY", "MAILING_STATE", "MAILING_ZIP_CODE", "MAILING_ZIP_PLUS", "MAILING_COUNTRY",
    "SPL_ID", "PERMANENT_MAIL_IN_VOTER", "CONGRESSIONAL", "STATE_SENATE", "STATE_HOUSE",
    "ID_REQUIRED",
)  # fmt: skip
_MAIL_SHORT = ("MAIL_ADDR1", "MAIL_ADDR2", "MAIL_ADDR3")
_MAIL_LONG = ("MAILING_ADDRESS_1", "MAILING_ADDRESS_2", "MAILING_ADDRESS_3")
_SINCE = ("PARTY_AFFILIATION_DATE", "PHONE_NUM")
_FILES = ("EX-003", "Registered_Voters_List")

MASTER = Layout(
    "Colorado", "EX-003", "2022-07", _FILES, (*_HEAD, *_SINCE, *_MAIL_SHORT, *_TAIL), "VOTER_ID"
)
"""The 51 columns in use."""

LAYOUTS = (
    MASTER,
    Layout("Colorado", "EX-003, long mailing names", "2022-07", _FILES,
           (*_HEAD, *_SINCE, *_MAIL_LONG, *_TAIL), "VOTER_ID"),
    Layout("Colorado", "EX-003 with PREFERENCE", "2017-01", _FILES,
           (*_HEAD, "PREFERENCE", *_SINCE, *_MAIL_SHORT, *_TAIL), "VOTER_ID"),
    Layout("Colorado", "EX-003 without ADDRESS_NON_STD", "2023-05", _FILES,
           tuple(c for c in (*_HEAD, *_SINCE, *_MAIL_SHORT, *_TAIL) if c != "ADDRESS_NON_STD"),
           "VOTER_ID"),
)  # fmt: skip

EX_002 = Layout(
    "Colorado",
    "EX-002",
    "2023-05",
    ("EX-002", "Master_Voting_History_List"),
    ("VOTER_ID", "ELECTION_TYPE", "ELECTION_DATE", "ELECTION_DESCRIPTION", "VOTING_METHOD",
     "PARTY", "COUNTY_NAME"),
    "VOTER_ID",
)  # fmt: skip
HISTORY = (EX_002,)
