"""What TeX's commands look like in Unicode."""

from __future__ import annotations

_GREEK = (
    "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ "
    "mu μ nu ν xi ξ pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega "
    "ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"
)
_PLAIN = (
    "infty ∞ partial ∂ nabla ∇ ell ℓ hbar ℏ Re ℜ Im ℑ aleph ℵ emptyset ∅ varnothing ∅ exists ∃ nexists ∄ forall ∀ "
    "neg ¬ lnot ¬ top ⊤ bot ⊥ prime ′ degree ° angle ∠ triangle △ square □ Box □ Diamond ◇ star ⋆ ast ∗ bullet • "
    "dagger † ddagger ‡ checkmark ✓ sharp ♯ flat ♭ sum ∑ prod ∏ int ∫ iint ∬ oint ∮ bigcup ⋃ bigcap ⋂ bigoplus ⨁ "
    "bigotimes ⨂ bigvee ⋁ bigwedge ⋀ coprod ∐ ldots … dots … cdots ⋯ dotsc … dotsb ⋯ vdots ⋮ lfloor ⌊ rfloor ⌋ "
    "lceil ⌈ rceil ⌉ langle ⟨ rangle ⟩ lvert | rvert | vert | lVert ‖ rVert ‖ Vert ‖ backslash \\ lbrace { rbrace } "
    "lbrack [ rbrack ] S § copyright © pounds £ euro € colon :"
)
_BETWEEN = (
    "leq ≤ le ≤ leqslant ≤ geq ≥ ge ≥ geqslant ≥ ll ≪ gg ≫ neq ≠ ne ≠ equiv ≡ approx ≈ sim ∼ simeq ≃ cong ≅ propto "
    "∝ prec ≺ succ ≻ preceq ⪯ succeq ⪰ in ∈ notin ∉ ni ∋ subset ⊂ supset ⊃ subseteq ⊆ supseteq ⊇ subsetneq ⊊ "
    "lesssim ≲ gtrsim ≳ asymp ≍ doteq ≐ triangleq ≜ coloneqq ≔ models ⊨ vdash ⊢ perp ⊥ parallel ∥ mid | to → "
    "rightarrow → longrightarrow ⟶ leftarrow ← gets ← leftrightarrow ↔ Rightarrow ⇒ implies ⇒ Leftarrow ⇐ "
    "Leftrightarrow ⇔ iff ⇔ mapsto ↦ hookrightarrow ↪ uparrow ↑ downarrow ↓ nearrow ↗ searrow ↘ rightsquigarrow ⇝ "
    "rightleftharpoons ⇌ bmod mod"
)
_TIGHT = (
    "times × cdot · pm ± mp ∓ div ÷ circ ∘ cup ∪ cap ∩ setminus ∖ oplus ⊕ ominus ⊖ otimes ⊗ odot ⊙ oslash ⊘ wedge ∧ "
    "land ∧ vee ∨ lor ∨ sqcup ⊔ sqcap ⊓ uplus ⊎ bowtie ⋈ ltimes ⋉ rtimes ⋊ smallsetminus ∖ diamond ⋄ boxtimes ⊠ "
    "boxplus ⊞"
)


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


RELATIONS = _pairs(_BETWEEN)
"""They stand between blanks."""
SYMBOLS = _pairs(_GREEK) | _pairs(_PLAIN) | _pairs(_TIGHT)
_FUNCTIONS = (
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max "
    "min Pr sec sin sinh sup tan tanh argmax argmin"
)
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Their names are written as they are, apart from the letters around them."""
SPACES = {"quad": " ", "qquad": " ", " ": " ", ",": "", ";": " ", ":": " ", "!": "", "thinspace": "", "/": "", "-": ""}
_SIZES = (
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle "
    "scriptstyle limits nolimits"
)
SIZES = frozenset(_SIZES.split())
"""They say how large what follows is, and nothing else."""
_FONTS = (
    "emph textbf textit textrm textsf texttt textsc textup textmd textnormal textsl underline mbox hbox text mathrm "
    "mathbf mathit mathsf mathtt mathcal mathscr mathfrak mathnormal boldsymbol bm pmb operatorname ensuremath url "
    "uline"
)
FONTS = frozenset(_FONTS.split())
"""Their argument is written as it is."""
_SWITCHES = "em it bf rm sc sl tt sf cal itshape bfseries ttfamily scshape normalfont"
SWITCHES = frozenset(_SWITCHES.split())
"""They change the letters up to the end of their group."""
OVER = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304",
    "overline": "\u0305", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c",
    "breve": "\u0306", "acute": "\u0301", "grave": "\u0300", "mathring": "\u030a",
}  # fmt: skip

_DOUBLE = "CℂHℍNℕPℙQℚRℝZℤ"
DOUBLE_STRUCK = {
    **{chr(65 + index): chr(0x1D538 + index) for index in range(26)},
    **{chr(97 + index): chr(0x1D552 + index) for index in range(26)},
    **{str(index): chr(0x1D7D8 + index) for index in range(10)},
    **dict(zip(_DOUBLE[::2], _DOUBLE[1::2], strict=True)),
}

SUPERSCRIPTS = dict(
    zip(
        "0123456789+−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWαβγδεθφχ′*°†∘",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵅᵝᵞᵟᵋᶿᵠᵡ′*°†°",
        strict=True,
    )
)
SUBSCRIPTS = dict(zip("0123456789+−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
