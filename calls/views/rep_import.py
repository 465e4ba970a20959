"""Names of reps from a file: upload, look at what it would change, carry it out. docs/reps.md"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from calls.reps import importing, sheets
from calls.reps.editing import ChangedMeanwhile
from tenants.abilities import Ability
from tenants.errors import AthosError, InvalidRequest
from tenants.members import Member, for_members

SHOWN = 200  # changes of a preview


@require_http_methods(["GET", "HEAD", "POST"])
@for_members(needs=Ability.COACH)
def rep_import(request: HttpRequest, member: Member) -> HttpResponse:
    """/reps/import: a form; POST with `file` shows the changes, with `text` and `plan` does them"""
    if request.method != "POST":
        return _form(request)
    try:
        upload = request.FILES.get("file")
        if upload is not None:
            text = sheets.sheet_decode(upload.read(sheets.LARGEST + 1))
        else:
            text = request.POST.get("text", "")
        if not text.strip():
            raise InvalidRequest("Choose a file.")
        if "plan" in request.POST:
            return _carry_out(request, member, text)
        return _preview(request, member, text)
    except AthosError as refused:
        return _form(request, refused)


@require_safe
@for_members(needs=Ability.COACH)
def rep_import_template(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /reps/import/template.csv: the columns, and the reps who have no name yet"""
    people = importing.template_people(
        tenant_id=member.tenant_id, agencies=member.membership.agencies
    )
    response = HttpResponse(sheets.sheet_write(people), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="reps.csv"'
    return response


def _carry_out(request: HttpRequest, member: Member, text: str) -> HttpResponse:
    sheet = sheets.sheet_read(text)
    try:
        plan = importing.import_carry_out(
            tenant_id=member.tenant_id,
            agencies=member.membership.agencies,
            sheet=sheet,
            digest=request.POST["plan"],
            replace=bool(request.POST.get("replace")),
            actor=member.actor,
        )
    except ChangedMeanwhile as changed:
        return _preview(request, member, text, changed)
    messages.success(request, f"Done: {plan.new} new, {plan.filled} filled in.")
    return redirect("rep-pages")


def _preview(
    request: HttpRequest, member: Member, text: str, problem: AthosError | None = None
) -> HttpResponse:
    plan = importing.import_plan(
        tenant_id=member.tenant_id,
        agencies=member.membership.agencies,
        sheet=sheets.sheet_read(text),
    )
    telling = [each for each in plan.planned if each.is_new or each.changes]
    context = {
        "plan": plan,
        "telling": telling[:SHOWN],
        "untold": max(0, len(telling) - SHOWN),
        "problems": plan.problems[: sheets.MOST_PROBLEMS],
        "text": text,
        "problem": problem,
    }
    return render(request, "reps/import_preview.html", context, status=_status(problem))


def _form(request: HttpRequest, problem: AthosError | None = None) -> HttpResponse:
    context = {"problem": problem, "columns": sheets.COLUMNS, "most": sheets.MOST_LINES}
    return render(request, "reps/import.html", context, status=_status(problem))


def _status(problem: AthosError | None) -> int:
    return problem.status if problem else 200
