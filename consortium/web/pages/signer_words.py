"""What the page of a volunteer who signs says, in English and in Spanish."""

_EN = {
    "other": "Español",
    "asked_title": "May letters go in your name?",
    "asked_lede": (
        "A coordinator named you as the person who signs letters about this race. Nothing is "
        "signed unless you say yes here."
    ),
    "confirmed_title": "Letters may go in your name",
    "confirmed_lede": "You confirmed this. You can take it back below, at any time.",
    "refused_title": "No letter goes in your name",
    "refused_lede": "You said no. What was waiting is held; what has left cannot be called back.",
    "exactly": "Exactly this",
    "name": "Your name",
    "place": "Where the letter says you live",
    "from": "The From line of each letter, by who sends it",
    "near": "Kept to find who lives nearest, in no letter",
    "daily": "Letters a day in your name",
    "at_most": "at most {count}",
    "no_limit": "no limit of your own",
    "about": "About",
    "until": "Until",
    "small": (
        "The race's local coordinator may have written the words, and more than one letter may go. "
        "The organizations above approve each letter before it leaves. A street is not asked for "
        "here, nor your email address, unless you want to get replies. Keep this page's link: with "
        "it you, and whoever else holds it, can take your name back."
    ),
    "letters_title": "The letters",
    "letters_lede": (
        "Each letter that the organizations are asked for, have approved, or that is under way, "
        "and that may go in your name. You get no notice of a new one: look here again. If one is "
        "not what you would sign, take your name back below; that ends it for all of them."
    ),
    "letters_none": (
        "There is none now. A letter stands here from when the organizations are asked for it."
    ),
    "letters_sample": (
        "Shown to a made-up reader, as it would come from {partner}; from another organization "
        "above it has that one's name, and how it describes its people. Whom a letter goes to, and "
        "how many get it, this page does not know."
    ),
    "state_asked": "Asked for: not every organization has said yes yet",
    "state_approved": "Approved, and not under way yet",
    "state_going": "Under way",
    "window": "Leaves between {opens} and {closes}",
    "subject": "Subject",
    "in_en": "In English",
    "in_es": "In Spanish",
    "arm": "version {number}",
    "only": "only for {places}",
    "unreadable": "Its words do not fit the agreement as it is now: none of it leaves so.",
    "limit": "At most this many letters a day",
    "limit_hint": (
        "Some readers answer. Left empty, there is no limit of your own. Letters beyond it wait "
        "for another day, or for another volunteer close by."
    ),
    "change": "Change the limit",
    "yes": "Yes, letters may be signed with my name and place",
    "replies": "Where replies to letters in your name go",
    "back": "Take my name back",
    "no": "No",
    "held": (
        "Letters in your name that have not left are then held; what has left cannot be called "
        "back."
    ),
}
_ES = {
    "other": "English",
    "asked_title": "¿Pueden enviarse cartas en su nombre?",
    "asked_lede": (
        "La coordinación le nombró como la persona que firma cartas sobre esta contienda. No se "
        "firma nada si usted no dice que sí aquí."
    ),
    "confirmed_title": "Pueden enviarse cartas en su nombre",
    "confirmed_lede": "Usted lo confirmó. Puede retirarlo abajo, en cualquier momento.",
    "refused_title": "No sale ninguna carta en su nombre",
    "refused_lede": (
        "Usted dijo que no. Lo que esperaba está retenido; lo que ya salió no se puede retirar."
    ),
    "exactly": "Exactamente esto",
    "name": "Su nombre",
    "place": "Dónde dice la carta que usted vive",
    "from": "El remitente de cada carta, según quién la envía",
    "near": "Se guarda para hallar a quien vive más cerca, en ninguna carta",
    "daily": "Cartas al día en su nombre",
    "at_most": "como máximo {count}",
    "no_limit": "sin límite suyo",
    "about": "Sobre",
    "until": "Hasta",
    "small": (
        "Las palabras puede haberlas escrito la coordinación local de la contienda, y puede salir "
        "más de una carta. Las organizaciones de arriba aprueban cada carta antes de que salga. "
        "Aquí no se pide su calle, ni su correo electrónico, salvo que quiera recibir respuestas. "
        "Guarde el enlace de esta página: con él usted, y cualquiera que lo tenga, puede retirar "
        "su nombre."
    ),
    "letters_title": "Las cartas",
    "letters_lede": (
        "Cada carta que se pidió a las organizaciones, que aprobaron o que está saliendo, y que "
        "puede ir en su nombre. No se le avisa de una nueva: vuelva a mirar aquí. Si alguna no es "
        "lo que usted firmaría, retire su nombre abajo; eso vale para todas."
    ),
    "letters_none": (
        "Ahora no hay ninguna. Una carta aparece aquí desde que se pide a las organizaciones."
    ),
    "letters_sample": (
        "Se muestra a una persona inventada, como llegaría de {partner}; de otra organización de "
        "arriba lleva el nombre de esa y cómo describe a su gente. A quién va una carta, y cuántos "
        "la reciben, esta página no lo sabe."
    ),
    "state_asked": "Pedida: aún no todas las organizaciones han dicho que sí",
    "state_approved": "Aprobada, y aún no está saliendo",
    "state_going": "Está saliendo",
    "window": "Sale entre {opens} y {closes}",
    "subject": "Asunto",
    "in_en": "En inglés",
    "in_es": "En español",
    "arm": "versión {number}",
    "only": "solo para {places}",
    "unreadable": "Sus palabras no caben en el acuerdo de ahora: así no sale nada de ella.",
    "limit": "Como máximo tantas cartas al día",
    "limit_hint": (
        "Algunas personas responden. Si lo deja vacío, no hay límite suyo. Las cartas de más "
        "esperan a otro día, o a otra persona voluntaria cercana."
    ),
    "change": "Cambiar el límite",
    "yes": "Sí, se pueden firmar cartas con mi nombre y lugar",
    "replies": "Adónde van las respuestas a las cartas en su nombre",
    "back": "Retirar mi nombre",
    "no": "No",
    "held": (
        "Las cartas en su nombre que no han salido quedan entonces retenidas; lo que ya salió no "
        "se puede retirar."
    ),
}
SIGNER_WORDS = {"en": _EN, "es": _ES}
