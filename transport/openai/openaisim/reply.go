package openaisim

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// topic is what the customer's words are about, as far as single words tell.
type topic int

const (
	topicOther topic = iota
	topicHours
	topicPrice
	topicOrder
	topicThanks
	topicGreeting
	topicMedia
	topicHuman
)

// phrasebook is one language: the words that give it and its topics away, and
// what is said. The first language whose word occurs is taken; English, the
// last, is also what is spoken when no word does.
type phrasebook struct {
	words   map[topic][]string
	phrases map[topic]string
	order   string // with %s for the order's number
	covers  string // with %s for the tokens
	echo    string // with %s for what was said
	found   string // with %s for what was found
	unknown string // when nothing was found
	// language is a BCP 47 tag.
	language string
}

var phrasebooks = []phrasebook{
	{
		words: map[topic][]string{
			topicGreeting: {"hallo", "guten", "moin", "servus"},
			topicHours:    {"geöffnet", "öffnungszeiten", "offen", "öffnet"},
			topicPrice:    {"preis", "kostet", "kosten", "teuer"},
			topicOrder:    {"bestellung", "lieferung", "paket"},
			topicThanks:   {"danke", "dankeschön"},
			topicHuman:    {"mensch", "mitarbeiter", "berater"},
		},
		phrases: map[topic]string{
			topicGreeting: "Hallo! Wie kann ich helfen?",
			topicHours:    "Wir haben Montag bis Samstag von 9 bis 18 Uhr geöffnet.",
			topicPrice:    "Das kostet 24 Euro. Möchten Sie es bestellen?",
			topicOrder:    "Gern! Wie lautet die Bestellnummer, zum Beispiel 1042?",
			topicThanks:   "Gern geschehen!",
			topicOther:    "Danke für die Nachricht. Ich habe notiert, was Sie schreiben.",
			topicMedia:    "Danke, das ist angekommen.",
			topicHuman:    "Ich hole jemanden dazu.",
		},
		order:    "Bestellung %s ist unterwegs und kommt morgen an.",
		covers:   "Antwort auf %s",
		echo:     "Sie schreiben: „%s“. Das habe ich notiert.",
		found:    "Ich habe nachgesehen: %s",
		unknown:  "Das weiß ich leider nicht.",
		language: "de",
	},
	{
		words: map[topic][]string{
			topicGreeting: {"hola", "buenos", "buenas"},
			topicHours:    {"abierto", "abren", "horario"},
			topicPrice:    {"precio", "cuesta", "cuánto"},
			topicOrder:    {"pedido", "envío", "paquete"},
			topicThanks:   {"gracias"},
			topicHuman:    {"humano", "asesor", "agente"},
		},
		phrases: map[topic]string{
			topicGreeting: "¡Hola! ¿En qué puedo ayudar?",
			topicHours:    "Abrimos de lunes a sábado, de 9 a 18 h.",
			topicPrice:    "Cuesta 24 euros. ¿Quiere pedirlo?",
			topicOrder:    "¡Claro! ¿Cuál es el número de pedido, por ejemplo 1042?",
			topicThanks:   "¡De nada!",
			topicOther:    "Gracias por su mensaje. He tomado nota.",
			topicMedia:    "Gracias, ha llegado.",
			topicHuman:    "Aviso a una persona del equipo.",
		},
		order:    "El pedido %s está en camino y llega mañana.",
		covers:   "respuesta a %s",
		echo:     "Usted escribe: «%s». He tomado nota.",
		found:    "He mirado: %s",
		unknown:  "Eso no lo sé, lo siento.",
		language: "es",
	},
	{
		words: map[topic][]string{
			topicGreeting: {"olá", "oi", "bom", "boa"},
			topicHours:    {"aberto", "abrem", "horário"},
			topicPrice:    {"preço", "custa", "quanto"},
			topicOrder:    {"encomenda", "entrega", "pacote"},
			topicThanks:   {"obrigado", "obrigada"},
			topicHuman:    {"atendente", "funcionário"},
		},
		phrases: map[topic]string{
			topicGreeting: "Olá! Como posso ajudar?",
			topicHours:    "Abrimos de segunda a sábado, das 9 às 18 h.",
			topicPrice:    "Custa 24 euros. Quer encomendar?",
			topicOrder:    "Claro! Qual é o número da encomenda, por exemplo 1042?",
			topicThanks:   "De nada!",
			topicOther:    "Obrigado pela mensagem. Tomei nota.",
			topicMedia:    "Obrigado, recebi.",
			topicHuman:    "Vou chamar alguém da equipa.",
		},
		order:    "A encomenda %s está a caminho e chega amanhã.",
		covers:   "resposta a %s",
		echo:     "Escreveu: «%s». Tomei nota.",
		found:    "Verifiquei: %s",
		unknown:  "Isso não sei, lamento.",
		language: "pt",
	},
	{
		words: map[topic][]string{
			topicGreeting: {"bonjour", "salut", "bonsoir"},
			topicHours:    {"ouvert", "ouvrez", "horaires"},
			topicPrice:    {"prix", "coûte", "combien"},
			topicOrder:    {"commande", "livraison", "colis"},
			topicThanks:   {"merci"},
			topicHuman:    {"humain", "conseiller"},
		},
		phrases: map[topic]string{
			topicGreeting: "Bonjour ! Comment puis-je vous aider ?",
			topicHours:    "Nous sommes ouverts du lundi au samedi, de 9 h à 18 h.",
			topicPrice:    "Cela coûte 24 euros. Voulez-vous le commander ?",
			topicOrder:    "Bien sûr ! Quel est le numéro de commande, par exemple 1042 ?",
			topicThanks:   "Avec plaisir !",
			topicOther:    "Merci pour votre message. C'est noté.",
			topicMedia:    "Merci, c'est bien arrivé.",
			topicHuman:    "Je préviens quelqu'un.",
		},
		order:    "La commande %s est en route et arrive demain.",
		covers:   "réponse à %s",
		echo:     "Vous écrivez : « %s ». C'est noté.",
		found:    "J'ai vérifié : %s",
		unknown:  "Je ne le sais pas, désolé.",
		language: "fr",
	},
	{
		words: map[topic][]string{
			topicGreeting: {"hello", "hi", "hey", "good"},
			topicHours:    {"open", "hours", "opening", "close", "closed"},
			topicPrice:    {"price", "cost", "costs", "much", "expensive"},
			topicOrder:    {"order", "delivery", "package", "parcel", "shipped"},
			topicThanks:   {"thanks", "thank"},
			topicHuman:    {"human", "representative", "operator"},
		},
		phrases: map[topic]string{
			topicGreeting: "Hello! How can I help?",
			topicHours:    "We are open Monday to Saturday, 9 am to 6 pm.",
			topicPrice:    "It costs 24 euros. Would you like to order it?",
			topicOrder:    "Sure! What is the order number, for example 1042?",
			topicThanks:   "You are welcome!",
			topicOther:    "Thank you for your message. I have made a note of it.",
			topicMedia:    "Thank you, it has arrived.",
			topicHuman:    "I will get somebody for you.",
		},
		order:    "Order %s is on its way and arrives tomorrow.",
		covers:   "answer to %s",
		echo:     "You wrote: “%s”. I have made a note of it.",
		found:    "I looked it up: %s",
		unknown:  "I am sorry, I do not know that.",
		language: "en",
	},
}

// priority is the order topics are looked for in: a greeting that also asks
// something is answered as the question.
var priority = []topic{topicHuman, topicOrder, topicHours, topicPrice, topicThanks, topicGreeting}

var (
	tokenForm = regexp.MustCompile(`#[0-9]+`)
	digitForm = regexp.MustCompile(`\b[0-9]{3,}\b`)
)

// tokensOf returns the distinct #digits tokens in the order of first occurrence.
func tokensOf(texts []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, text := range texts {
		for _, tok := range tokenForm.FindAllString(text, -1) {
			if !seen[tok] {
				seen[tok] = true
				out = append(out, tok)
			}
		}
	}
	return out
}

// reply makes the reply to the last run of user messages.
//
// Invariant: the tokens of the reply are exactly tokensOf(run), in order.
func reply(run []string) string {
	text := strings.Join(run, "\n")
	book, about := recognise(text)
	covered := tokensOf(run)
	out := book.phrases[about]
	switch {
	case about == topicOther && len(covered) == 0 && len(run) > 0:
		out = strings.Replace(book.echo, "%s", excerpt(run[len(run)-1]), 1)
	case about == topicOrder:
		switch plain := digitForm.FindString(text); {
		case len(covered) > 0:
			out = strings.Replace(book.order, "%s", covered[0], 1)
			covered = covered[1:]
		case plain != "":
			out = strings.Replace(book.order, "%s", plain, 1)
		}
	}
	if len(covered) > 0 {
		out += " (" + strings.Replace(book.covers, "%s", strings.Join(covered, " "), 1) + ")"
	}
	return out
}

// excerpt is the beginning of a text on one line. A text with tokens is never
// quoted: a token cut short would be another token.
func excerpt(text string) string {
	const most = 60
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

func recognise(text string) (phrasebook, topic) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, book := range phrasebooks {
		for _, t := range priority {
			for _, w := range book.words[t] {
				if slices.Contains(words, w) {
					return book, t
				}
			}
		}
	}
	english := phrasebooks[len(phrasebooks)-1]
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "[") && strings.HasSuffix(t, "]") {
		return english, topicMedia
	}
	return english, topicOther
}
