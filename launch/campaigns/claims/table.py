"""Every claim, in the order of the ladder."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.acting import CLAIMS as ACTING
from lukasa.launch.campaigns.claims.algorithms import CLAIMS as ALGORITHMS
from lukasa.launch.campaigns.claims.claim import Claim
from lukasa.launch.campaigns.claims.episodes import CLAIMS as EPISODES
from lukasa.launch.campaigns.claims.field import CLAIMS as FIELD
from lukasa.launch.campaigns.claims.programs import CLAIMS as PROGRAMS
from lukasa.launch.campaigns.claims.sparse import CLAIMS as SPARSE
from lukasa.launch.campaigns.claims.stories import CLAIMS as STORIES

CLAIMS: dict[str, Claim] = {
    claim.name: claim for claim in (*ALGORITHMS, *SPARSE, *STORIES, *EPISODES, *ACTING, *FIELD, *PROGRAMS)
}
"""By name."""
