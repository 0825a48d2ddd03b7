"""What the pages for recipients say, in English and in Spanish, and nothing that is not kept."""

SCOPES = ("race", "partner", "all", "protect")

_EN = {
    "other": "Español",
    "why_title": "Why did I get this email?",
    "why": "You got it because {partner} states that you are {relation}.",
    "how": (
        "{partner} said yes to this email about {race}, signed by {messenger}. The letter was sent "
        "on {day}, from {partner} and in its name."
    ),
    "seen": (
        "Whoever wrote it was not given your name or your address. A reply goes through us; your "
        "address is shown only if you say so. No other organization, and not the operator alone, "
        "can read the list that you are on."
    ),
    "together": (
        "Who together could open your address: the mail machine, with {threshold} of these "
        "{count}: {custodians}."
    ),
    "caps": (
        "Through Trellis, one address gets at most {week} a week and {total} in this race, from "
        "all organizations together; the mail machine limits that. The custodians limit how often "
        "an address can be opened."
    ),
    "one_letter": "1 letter",
    "letters": "{count} letters",
    "trail": "The trail",
    "log": "The public log",
    "entry": "entry {index}",
    "receipt": "Download a receipt of this trail",
    "receipt_note": (
        "Anybody can check it without asking us: trellis audit receipt FILE. It holds neither your "
        "name nor your address. Whoever has it can show to {partner}, and to who runs Trellis, "
        "which of the codes is yours."
    ),
    "log_note": (
        "The log proves what was recorded, and who said it. It does not prove that what they said "
        "is true."
    ),
    "visit": (
        "Letters carry no hidden pictures. That this page was opened is noted beside the letter, "
        "without your name or address: after many letters that nobody answers, we send no more."
    ),
    "stop_title": "Stop these emails",
    "stop_lede": "One press is enough. You do not need to sign in, and it works right away.",
    "race": "Stop emails about {race}",
    "race_ends": (
        "Ends: letters about {race} to this address, from every organization here, for the whole "
        "race; as a rule at your other addresses, too."
    ),
    "race_stays": "Does not end: letters about other races, or {partner}'s own newsletter.",
    "more": "Other ways to stop",
    "partner": "Stop emails that come from {partner} through Trellis",
    "partner_ends": (
        "Ends: letters from {partner} sent through Trellis to this address, for every race."
    ),
    "partner_stays": (
        "Does not end: letters from another organization here that also lists you, or {partner}'s "
        "own newsletter."
    ),
    "all": "Stop all emails sent through Trellis",
    "all_ends": (
        "Ends: every letter through Trellis to this address, from everyone, for every race."
    ),
    "all_stays": (
        "Does not end: letters about other races to another address of yours that somebody lists, "
        "or an organization's own newsletter. Ask that organization."
    ),
    "protect": "Protect me",
    "protect_ends": (
        "Ends: every letter through Trellis to this address, for good, and every letter to you in "
        "this race at any other address too, unless so many on one list stop at once that its "
        "stops count for their addresses alone. You need not say why."
    ),
    "protect_stays": (
        "Does not end: letters about other races to another address of yours that somebody lists, "
        "or an organization's own newsletter. Ask that organization."
    ),
    "told": (
        "{partner}, whose list this letter came through, is told that you said stop and how far; "
        "of Protect me it is told as if you had stopped all. No other organization is told."
    ),
    "gone": (
        "What was already handed to your mail provider cannot be called back. A letter on its way "
        "at this moment may still arrive."
    ),
    "stopped_title": "Stopped",
    "stopped_lede": "This works now. You may close this page.",
    "already": "Already stopped",
    "back": "Why did I get this email?",
    "wrong": "Is this wrong? Write to {partner}, or by post to: {postal}",
    "paid": "Paid for by {paid}",
    "unknown_title": "This link does not work",
    "unknown": (
        "Perhaps part of it was lost when it was copied. Open it again from the email, or use your "
        "mail program's own unsubscribe button. Nothing was changed."
    ),
    "typed_link": "Or type the address that should get no more letters",
    "typed_title": "Stop letters to an address",
    "typed_lede": (
        "For when you have no letter at hand, or its link no longer works. Type the address; you "
        "need not sign in."
    ),
    "typed_address": "Email address",
    "typed_kept": (
        "What you type is sealed for the mail machine as soon as it arrives here. That machine "
        "keeps a keyed code of it, and not the address. This page never says whether we have it."
    ),
    "typed_race": "Stop letters about {race} to it",
    "typed_all": "Stop every letter sent through Trellis to it",
    "typed_wrong": "That is not an email address. Nothing was changed.",
    "typed_done": (
        "Done. The mail machine reads it within a minute; from then on it sends nothing to that "
        "address. Another address of yours must be typed by itself."
    ),
    "reply_title": "Send your reply?",
    "reply_ask": (
        "You replied to a letter about {race} that {messenger} signed for {partner}. Your reply "
        "waits here, locked. No person has read it."
    ),
    "reply_shows": (
        "If you say yes, {messenger} gets your words and sees your email address. {partner} and "
        "whoever wrote the letter see neither, unless {messenger} shows them. Files and pictures "
        "are not passed on."
    ),
    "reply_yes": "Yes, send it and show my address to {messenger}",
    "reply_no": "No, delete it",
    "reply_until": "If you do nothing, it is deleted on {day}.",
    "reply_yes_done": (
        "Your reply goes to {messenger} in the next minutes, with your address. Nothing of it is "
        "kept here after that."
    ),
    "reply_gone": "No reply waits here: it was passed on, or deleted.",
    "box_title": "Where replies to your letters go",
    "box_lede": (
        "Who replies to a letter in your name, {name}, is asked first whether you may see their "
        "address. Only if they say yes does their reply come to you."
    ),
    "box_kept": (
        "The address that you type is sealed for the mail machine as soon as it arrives here. It "
        "writes to it once to ask whether it is yours. Until somebody says yes there, nothing goes "
        "to it. The coordinator, the partners and your readers do not see it; if you answer a "
        "reply, that reader sees your address."
    ),
    "box_proven": "Replies go to an address that was proved to be yours. You may name another.",
    "box_asked": "The address that you typed got an email. Open its link and say yes.",
    "box_none": "Until you name one, replies are deleted unread, and their writers are told so.",
    "box_address": "Your email address for replies",
    "box_send": "Ask at this address",
    "box_drop": "Take no replies",
    "box_wrong": "That is not an email address. Nothing was changed.",
    "prove_title": "Is this address yours, {name}?",
    "prove_ask": (
        "Somebody who holds {name}'s link wants replies to letters about {race} to come to the "
        "address at which you got this link."
    ),
    "prove_yes": "Yes, replies may come to this address",
    "prove_no": "No, delete this address",
    "prove_done": "Replies whose writers say yes now come to this address.",
    "prove_gone": "Nothing is asked under this link any more.",
}
_ES = {
    "other": "English",
    "why_title": "¿Por qué recibí este correo?",
    "why": "Lo recibió porque {partner} declara, en inglés, que usted es “{relation}”.",
    "how": (
        "{partner} dijo que sí a este correo sobre {race}, firmado por {messenger}. La carta se "
        "envió el {day}, desde {partner} y en su nombre."
    ),
    "seen": (
        "A quien la escribió no se le dio su nombre ni su dirección. Una respuesta pasa por "
        "nosotros; su dirección se muestra solo si usted lo dice. Ninguna otra organización, ni el "
        "operador solo, puede leer la lista en la que usted está."
    ),
    "together": (
        "Quiénes juntos podrían abrir su dirección: la máquina de correo, con {threshold} de estos "
        "{count}: {custodians}."
    ),
    "caps": (
        "Por Trellis, una dirección recibe como máximo {week} por semana y {total} en esta "
        "contienda, de todas las organizaciones juntas; eso lo limita la máquina de correo. Los "
        "custodios limitan cuántas veces se puede abrir una dirección."
    ),
    "one_letter": "1 carta",
    "letters": "{count} cartas",
    "trail": "El recorrido (en inglés)",
    "log": "El registro público (en inglés)",
    "entry": "anotación {index}",
    "receipt": "Descargar un recibo de este recorrido",
    "receipt_note": (
        "Cualquiera puede comprobarlo sin preguntarnos: trellis audit receipt FILE. No contiene su "
        "nombre ni su dirección. Quien lo tenga puede mostrar a {partner}, y a quien opera "
        "Trellis, cuál de los códigos es el suyo."
    ),
    "log_note": (
        "El registro prueba qué se anotó y quién lo dijo. No prueba que lo dicho sea verdad."
    ),
    "visit": (
        "Las cartas no llevan imágenes ocultas. Que esta página se abrió se anota junto a la "
        "carta, sin su nombre ni su dirección: tras muchas cartas que nadie contesta, no enviamos "
        "más."
    ),
    "stop_title": "Detener estos correos",
    "stop_lede": "Basta un toque. No necesita iniciar sesión y surte efecto de inmediato.",
    "race": "Detener los correos sobre {race}",
    "race_ends": (
        "Termina: las cartas sobre {race} a esta dirección, de todas las organizaciones aquí, "
        "hasta que acabe la contienda; por regla general, también en sus otras direcciones."
    ),
    "race_stays": "No termina: cartas sobre otras contiendas ni el boletín propio de {partner}.",
    "more": "Otras formas de detenerlos",
    "partner": "Detener los correos que {partner} envía por Trellis",
    "partner_ends": (
        "Termina: las cartas de {partner} enviadas por Trellis a esta dirección, en toda contienda."
    ),
    "partner_stays": (
        "No termina: cartas de otra organización aquí que también le tenga en su lista, ni el "
        "boletín propio de {partner}."
    ),
    "all": "Detener todos los correos enviados por Trellis",
    "all_ends": (
        "Termina: toda carta por Trellis a esta dirección, de cualquiera, en toda contienda."
    ),
    "all_stays": (
        "No termina: cartas sobre otras contiendas a otra dirección suya que alguien tenga en su "
        "lista, ni el boletín propio de una organización. Pídaselo a ella."
    ),
    "protect": "Protéjanme",
    "protect_ends": (
        "Termina: toda carta por Trellis a esta dirección, para siempre, y toda carta a usted en "
        "esta contienda también en cualquier otra dirección, salvo que en una misma lista tantos "
        "los detengan a la vez que solo cuenten sus direcciones. No tiene que decir por qué."
    ),
    "protect_stays": (
        "No termina: cartas sobre otras contiendas a otra dirección suya que alguien tenga en su "
        "lista, ni el boletín propio de una organización. Pídaselo a ella."
    ),
    "told": (
        "Se avisa a {partner}, por cuya lista llegó esta carta, de que usted los detuvo y hasta "
        "dónde; de Protéjanme se le avisa como si usted hubiera detenido todos. No se avisa a "
        "ninguna otra organización."
    ),
    "gone": (
        "Lo que ya se entregó a su proveedor de correo no se puede retirar. Una carta en camino en "
        "este momento aún puede llegar."
    ),
    "stopped_title": "Detenido",
    "stopped_lede": "Ya surte efecto. Puede cerrar esta página.",
    "already": "Ya detenido",
    "back": "¿Por qué recibí este correo?",
    "wrong": "¿Hay un error? Escriba a {partner}, o por correo postal a: {postal}",
    "paid": "Pagado por {paid}",
    "unknown_title": "Este enlace no funciona",
    "unknown": (
        "Quizá se perdió una parte al copiarlo. Ábralo otra vez desde el correo, o use el botón "
        "para cancelar la suscripción de su programa de correo. No se cambió nada."
    ),
    "typed_link": "O escriba la dirección que no debe recibir más cartas",
    "typed_title": "Detener las cartas a una dirección",
    "typed_lede": (
        "Para cuando no tiene una carta a mano o su enlace ya no funciona. Escriba la dirección; "
        "no necesita iniciar sesión."
    ),
    "typed_address": "Correo electrónico",
    "typed_kept": (
        "Lo que escribe se sella para la máquina de correo en cuanto llega aquí. Esa máquina "
        "guarda un código con clave, no la dirección. Esta página nunca dice si la tenemos."
    ),
    "typed_race": "Detener las cartas sobre {race} a esa dirección",
    "typed_all": "Detener toda carta enviada por Trellis a esa dirección",
    "typed_wrong": "Eso no es una dirección de correo. No se cambió nada.",
    "typed_done": (
        "Hecho. La máquina de correo la lee en un minuto; desde entonces no envía nada a esa "
        "dirección. Otra dirección suya se escribe por separado."
    ),
    "reply_title": "¿Enviar su respuesta?",
    "reply_ask": (
        "Usted respondió a una carta sobre {race} que {messenger} firmó por {partner}. Su "
        "respuesta espera aquí, cerrada. Ninguna persona la ha leído."
    ),
    "reply_shows": (
        "Si dice que sí, {messenger} recibe sus palabras y ve su dirección de correo. {partner} y "
        "quien escribió la carta no ven ni lo uno ni lo otro, salvo que {messenger} se lo muestre. "
        "No se entregan archivos ni imágenes."
    ),
    "reply_yes": "Sí, enviarla y mostrar mi dirección a {messenger}",
    "reply_no": "No, borrarla",
    "reply_until": "Si no hace nada, se borra el {day}.",
    "reply_yes_done": (
        "Su respuesta llega a {messenger} en los próximos minutos, con su dirección. Después no se "
        "guarda nada de ella aquí."
    ),
    "reply_gone": "Aquí no espera ninguna respuesta: se entregó o se borró.",
    "box_title": "Adónde van las respuestas a sus cartas",
    "box_lede": (
        "A quien responde a una carta en su nombre, {name}, se le pregunta primero si usted puede "
        "ver su dirección. Solo si dice que sí, la respuesta le llega a usted."
    ),
    "box_kept": (
        "La dirección que escribe se sella para la máquina de correo en cuanto llega aquí. Esta le "
        "escribe una vez para preguntar si es suya. Hasta que alguien diga que sí allí, no va nada "
        "a ella. El coordinador, las organizaciones y sus lectores no la ven; si usted contesta a "
        "una respuesta, ese lector ve su dirección."
    ),
    "box_proven": "Las respuestas van a una dirección que se probó que es suya. Puede dar otra.",
    "box_asked": "La dirección que escribió recibió un correo. Abra su enlace y diga que sí.",
    "box_none": "Mientras no dé una, las respuestas se borran sin leer y se avisa a quien escribe.",
    "box_address": "Su correo electrónico para respuestas",
    "box_send": "Preguntar en esta dirección",
    "box_drop": "No recibir respuestas",
    "box_wrong": "Eso no es una dirección de correo. No se cambió nada.",
    "prove_title": "¿Es suya esta dirección, {name}?",
    "prove_ask": (
        "Alguien que tiene el enlace de {name} quiere que las respuestas a las cartas sobre {race} "
        "lleguen a la dirección en la que usted recibió este enlace."
    ),
    "prove_yes": "Sí, las respuestas pueden llegar a esta dirección",
    "prove_no": "No, borrar esta dirección",
    "prove_done": "Las respuestas cuyos autores dicen que sí llegan ahora a esta dirección.",
    "prove_gone": "Bajo este enlace ya no se pregunta nada.",
}
WORDS = {"en": _EN, "es": _ES}
