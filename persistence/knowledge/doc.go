// Package knowledge searches what a business says about itself. Its indexes lie in
// memory only: they are built from the tenant's sealed chunks on first use, follow
// them by the turn of chat.KnowledgeHead, and are dropped when they are idle or
// memory is short. Nothing of a text is ever written by this package.
//
// A tenant's index is a value of its own (index), made of that tenant's documents and
// reached by its id alone: there is no index over tenants that a filter would have to
// keep apart.
//
// A search ranks twice and joins the ranks:
//
//   - by words: BM25 (words.go), over the terms that bleve's analyzer of the language
//     makes that a chunk is written in (analyze.go);
//   - by meaning: cosine over vectors, all of them looked at, see vector.go. The
//     vectors are those of the tenant's embedding model, stored with the chunks.
//     Without such a model, while it does not answer, and until most chunks have a
//     vector, they are made here, of a small list of concepts and of parts of words
//     (local.go): far from what a model knows, and better than words alone;
//   - both: reciprocal rank fusion, see fuse.go.
//
// Of these it keeps what bears on the question, see look.go: nothing is an answer.
//
// The order is the same for the same chunks and the same query.
package knowledge
