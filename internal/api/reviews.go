package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (a *api) reviewRoutes(h huma.API) {
	get(a, h, "/reviews", "Reviews of access, the newest first: all, or those with something in your scope", a.reviews, people)
	register(a, h, http.MethodPost, "/reviews", "Begin a review by hand; what it is about is gathered at once, in the background", http.StatusCreated, a.startReview, people)
	get(a, h, "/reviews/{review}", "A review, and how far it has come", a.review, people)
	get(a, h, "/reviews/{review}/cards", "Its cards, one for each person, the riskiest first: what is in your scope", a.reviewCards, people)
	get(a, h, "/reviews/{review}/cards/{connection}/{person}", "The card of one person", a.reviewCard, people)
	register(a, h, http.MethodPost, "/reviews/{review}/decisions", "Keep, remove or lower: one item, several of a card, or a card", http.StatusOK, a.decideReview, people)
	register(a, h, http.MethodPost, "/reviews/{review}/close", "End a review before its time", http.StatusOK, a.closeReview, people)
	get(a, h, "/reviews/{review}/report", "What became of each item, page by page", a.reviewReport, people)
	get(a, h, "/access/report", "Who holds what at a scope and below, why, since when, when it was used and reviewed last, page by page", a.accessReport, people)
}

type reviewsInput struct {
	After access.ReviewID `query:"after" maxLength:"64" doc:"next of the page before"`
	Count int             `query:"count" minimum:"1" maximum:"200" default:"50"`
}

func (a *api) reviews(ctx context.Context, in *reviewsInput) (*body[steward.ReviewPage], error) {
	return answer(a.Steward.Reviews(ctx, actor(ctx, ""), in.After, in.Count))
}

// answer is what a use case gave, as huma wants it.
func answer[T any](out T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{out}, nil
}

type startReviewInput struct {
	Body struct {
		steward.NewReview
		Days   float64 `json:"days,omitempty" minimum:"0" maximum:"90" doc:"it ends by itself so many days after it began; left out: 14"`
		Author string  `json:"author,omitempty" maxLength:"200" doc:"who acts, where the operator does"`
	}
}

func (a *api) startReview(ctx context.Context, in *startReviewInput) (*body[steward.ReviewView], error) {
	what := in.Body.NewReview
	what.Within = time.Duration(in.Body.Days * float64(24*time.Hour))
	return answer(a.Steward.StartReview(ctx, actor(ctx, in.Body.Author), what))
}

// ReviewInput names a review in a path.
type ReviewInput struct {
	Review access.ReviewID `path:"review" maxLength:"64"`
}

func (a *api) review(ctx context.Context, in *ReviewInput) (*body[steward.ReviewView], error) {
	return answer(a.Steward.Review(ctx, actor(ctx, ""), in.Review))
}

type cardsInput struct {
	ReviewInput
	Open  bool   `query:"open" doc:"only cards with something undecided"`
	After string `query:"after" maxLength:"600" doc:"next of the page before"`
	Count int    `query:"count" minimum:"1" maximum:"100" default:"25"`
}

func (a *api) reviewCards(ctx context.Context, in *cardsInput) (*body[steward.CardPage], error) {
	return answer(a.Steward.Cards(ctx, actor(ctx, ""), in.Review, steward.CardQuery{Open: in.Open, After: in.After, Count: in.Count}))
}

type cardInput struct {
	ReviewInput
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Person     access.PersonID     `path:"person" maxLength:"128"`
}

func (a *api) reviewCard(ctx context.Context, in *cardInput) (*body[steward.CardView], error) {
	return answer(a.Steward.Card(ctx, actor(ctx, ""), in.Review, steward.PersonRef{Connection: in.Connection, Person: in.Person}))
}

type decisionInput struct {
	ReviewInput
	Body steward.Decision
}

// ReviewDecided are the items as they stand after a decision.
type ReviewDecided struct {
	Items []steward.ItemView `json:"items"`
}

func (a *api) decideReview(ctx context.Context, in *decisionInput) (*body[ReviewDecided], error) {
	items, err := a.Steward.DecideReview(ctx, actor(ctx, ""), in.Review, in.Body)
	return answer(ReviewDecided{items}, err)
}

type closeReviewInput struct {
	ReviewInput
	Body struct {
		Confirm bool   `json:"confirm,omitempty" doc:"what is undecided is kept"`
		Author  string `json:"author,omitempty" maxLength:"200" doc:"who acts, where the operator does"`
	}
}

func (a *api) closeReview(ctx context.Context, in *closeReviewInput) (*body[steward.ReviewView], error) {
	return answer(a.Steward.CloseReview(ctx, actor(ctx, in.Body.Author), in.Review, in.Body.Confirm))
}

type reportInput struct {
	ReviewInput
	After string `query:"after" maxLength:"600" doc:"next of the page before"`
	Count int    `query:"count" minimum:"1" maximum:"500" default:"500"`
}

func (a *api) reviewReport(ctx context.Context, in *reportInput) (*body[steward.ReportPage], error) {
	return answer(a.Steward.ReviewReport(ctx, actor(ctx, ""), in.Review, in.After, in.Count))
}

type accessReportInput struct {
	Area  string `query:"area" maxLength:"300" doc:"path or id of a scope; left out: all that you administer"`
	After string `query:"after" maxLength:"600" doc:"next of the page before"`
	Count int    `query:"count" minimum:"1" maximum:"500" default:"200"`
}

func (a *api) accessReport(ctx context.Context, in *accessReportInput) (*body[steward.ReportPage], error) {
	return answer(a.Steward.AccessReport(ctx, actor(ctx, ""), in.Area, in.After, in.Count))
}
